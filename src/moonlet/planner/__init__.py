"""Will it run here, how fast, and does owning pay: answered before a byte of weights is there, measured afterwards.

machine   what a machine is: measured here, or described with source and date of every figure
subject   the model in question: what it is made of, from a name, a folder, a config.json or a GGUF header
fit       where every part lives, what is left, or the smallest change that makes it fit
routing   which experts tokens meet: how many different ones a batch reads, how many lie in a cache
speed     seconds and bytes of prompts and tokens, with error bars and every assumption
prices    dated prices of other people's models and subscriptions
money     cash, full cost, counterfactual: three numbers that are never mixed
simulate  a team's day, event by event
"""
