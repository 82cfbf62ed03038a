"""Work on customers: contact checks, address confirmation, mail domains, erasure.

Imports ``channels``, ``monitoring`` and below. Sends no notice of an incident: ``delivery`` does.
"""
