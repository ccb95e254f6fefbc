"""The flags of `moonlet deploy`."""

from __future__ import annotations

import argparse


def add_flags(deploy: argparse.ArgumentParser) -> None:
    deploy.add_argument("plan", metavar="PLAN.json", help="what `moonlet plan ... --json` printed")
    where = deploy.add_mutually_exclusive_group(required=True)
    where.add_argument("--print", action="store_true", dest="printed", help="print the manifests")
    where.add_argument("--write", metavar="FOLDER", help="write them as files")
    deploy.add_argument(
        "--to",
        choices=("compose", "systemd", "kubernetes"),
        help="default: kubernetes for several machines, else compose",
    )
    deploy.add_argument("--engine", choices=("vllm", "sglang"), default="vllm", help="default: vllm")
    deploy.add_argument("--image", default="moonlet", metavar="IMAGE", help="container image of moonlet")
    deploy.add_argument(
        "--models", default="/srv/models", metavar="FOLDER", help="on the machines, with the checkpoint"
    )
    deploy.add_argument("--price", metavar="P/C/O", help="dollars a million tokens, for the ledger")
