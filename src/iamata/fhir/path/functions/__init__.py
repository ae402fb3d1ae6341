"""The functions of expressions, by what they are about; `catalogue` lists them all."""
