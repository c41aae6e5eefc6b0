"""What stands where in a token's state, and the sizes of what is noted there.

A token has its vector, numbers before it, and before those its edges: what an embedding has stands together, so that
the export leaves the rest out. What the last token picks of both texts is where others have edges. The sketches of the
means are not: they are squared in every token, and an edge's square would be too large for its norm. In the end the
document's mean is where others have their vector, and the query's is in front.
"""

WIDTH = 288  # of a token vector
SKETCH = 96  # entries of a sketch of a vector: its largest components
EDGE = 26  # entries for the last letter of the token before, a token's first letter, and its last

QUERY_MEAN = 0
SKETCHES = 0  # of the document's mean, then of the query's
PICKED = SKETCHES + 2 * SKETCH  # the sketch of a token of the document and its weight, then of the query
NUMBERS = max(WIDTH, PICKED + 2 * (SKETCH + 1))
BEFORE, FIRST, LAST = NUMBERS - 3 * EDGE, NUMBERS - 2 * EDGE, NUMBERS - EDGE
CONSTANT, DOCUMENT_MARK, QUERY_MARK, IN_DOCUMENT, IN_QUERY, BLANK, SCORE, LEFT = range(NUMBERS, NUMBERS + 8)
DOCUMENT_WEIGHT, QUERY_WEIGHT, DOCUMENT_LEFT, QUERY_LEFT, ALIKE, COUNTED = range(NUMBERS + 8, NUMBERS + 14)
EMPHASIS, WEIGHT = range(NUMBERS + 14, NUMBERS + 16)
VECTOR = NUMBERS + 16
DOCUMENT_MEAN = VECTOR

CONSTANT_SIZE, MARK_SIZE = 10.0, 20.0
LAST_SIZE = (CONSTANT_SIZE**2 + MARK_SIZE**2) ** 0.5  # of the last token's state, until the means come
MARKER_SIZE = (CONSTANT_SIZE**2 + 2 * MARK_SIZE**2) ** 0.5  # of a marker's state
EMPHASIS_NOTE = 0.1  # of a token's emphasis; so little that its norm does not notice
NOTE = 0.5  # how strongly a token notes what it belongs to; little, so that its norm still shows its vector
BROUGHT = 0.05  # of what heads bring the last token; all tokens get some of it, and their norms must not notice
