"""Ways to put transactions in one order that everybody agrees on, behind one port."""
