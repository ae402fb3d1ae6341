"""The only importer of the cryptographic libraries: signatures, sealing, commitments, trees and the map.

Pure: keys and chance arrive as arguments, and nothing is kept.
"""
