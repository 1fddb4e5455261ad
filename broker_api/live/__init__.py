"""What live adapters share: books, the keeper of what is uncertain, connections, requests.

An adapter translates its venue's words into these and back; it is not imported from here.
"""
