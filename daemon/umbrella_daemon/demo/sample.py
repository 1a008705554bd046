"""The file that the demo completes: real-looking code with a cursor in it."""

from typing import Final

NAME: Final = "inventory.py"
CURSOR: Final = "▮"

# What is typed at the cursor, character by character, once the first suggestion was shown.
TYPED: Final = "return sum(item.pric"

TEXT: Final = '''"""Stock of a small shop: what is there, and what it costs."""

from dataclasses import dataclass


@dataclass
class Item:
    """One product on the shelf."""

    name: str
    price: float
    quantity: int


class Inventory:
    """All products of the shop, by name."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}

    def add(self, item: Item) -> None:
        """Put a product on the shelf, or more of one that is there."""
        if item.name in self.items:
            self.items[item.name].quantity += item.quantity
        else:
            self.items[item.name] = item

    def total_quantity(self) -> int:
        """Count everything on the shelf."""
        return sum(item.quantity for item in self.items.values())

    def total_price(self) -> float:
        """Add up the prices of all items."""
        ▮

    def names(self) -> list[str]:
        """Names of all products, in alphabetical order."""
        return sorted(self.items)
'''

PREFIX, SUFFIX = TEXT.split(CURSOR)
