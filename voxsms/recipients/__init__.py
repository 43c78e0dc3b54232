"""Lists of people as offices keep them: any kind of CSV, and Excel workbooks, read row by row.

.. code-block:: python

    from voxsms import recipients

    with recipients.read("people.csv") as people:
        for row in people:
            if isinstance(row, recipients.BadRow):
                print(f"line {row.line}: {row.reason}")
            else:
                print(row.destination, row.values["name"])

`voxsms estimate` and `voxsms mail` use it. Memory does not depend on the size of the list.
"""

from voxsms.recipients._read import Recipients, read
from voxsms.recipients._rows import BadRow, Recipient

__all__ = ["BadRow", "Recipient", "Recipients", "read"]
