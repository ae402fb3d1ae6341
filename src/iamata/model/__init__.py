"""The words that every other package speaks: ids, time, reasons and canonical bytes. Pure."""
