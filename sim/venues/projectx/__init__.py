"""A local ProjectX Gateway: its REST interface and hubs over the simulated exchange.

Messages, codes and words are those of `broker_api.projectx.wire`. What is not known of the live
service is decided here and said in docs/venues.md.
"""
