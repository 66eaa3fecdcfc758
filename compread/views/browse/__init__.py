"""Stores full screen in a terminal, with Textual; nothing is ever written.

``sources`` what can be looked at, ``reading`` its numbers, ``rows`` what is shown of them and
``looking`` in which order; ``listing`` a table of any length, ``heat`` the map of layers and heads,
``component`` the page of one component, ``top`` the lines on top, ``main`` the screen, ``help`` the
keys, ``app`` all of it together.
"""
