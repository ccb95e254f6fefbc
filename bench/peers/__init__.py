"""The same shapes run by moonlet and by its peers, in alternation on one machine (docs/performance.md).

environments.py   each peer in an environment of its own, pinned
gguf_shape.py, hf_shape.py   a shape's random weights in the peers' forms; ours are bench.shapes'
run_*.py          one peer (or us), in its own environment and process: some rows once, told as JSON
limits.py         what this machine can do at most, measured between the runs
cases.py          which shapes, rows and peers there are, and what a row must read or multiply
results.py        medians, shares and ratios: the table, the JSON and the chart
"""
