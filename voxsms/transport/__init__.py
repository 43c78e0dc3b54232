"""How a request crosses the network: the seam, and what stands behind it.

A transport sends one form and gives the answer, and on the way notes how far the request came. That
note is what tells a send that failed from one that may have been delivered.
"""
