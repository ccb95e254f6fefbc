"""Engines of others behind one model: what they answer is checked and mended, several share the work.

request -> Fleet.reply (which engine) -> guard.promised (calls that hold) -> llm.remote.Remote (the wire)
"""
