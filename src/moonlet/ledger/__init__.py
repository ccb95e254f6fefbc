"""Who used how much: keys, quotas, and one row for every request, in SQLite or PostgreSQL.

`database` is the thin layer over both; `schema` the tables; `keys` who may ask; `quota` whether they still may;
`books` the rows, opened when a request is admitted and closed when it ends; `energy` joules; `report` the sums.
"""
