"""The composition root: builds every service, hands each what it needs, starts and stops them."""
