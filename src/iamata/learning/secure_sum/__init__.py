"""The secure sum: sites learn the sum of their vectors, and whoever carries their messages learns nothing.

Rounds as in Bonawitz et al. 2017, sections 4 and 6, against a relay that lies. `plans` says what is
summed, `encoding` how numbers become residues, `messages` what travels, `site` and `relay` who does
what when. Pure: a node carries the messages, keeps the states and decides how long to wait.
"""
