"""`risexp serve`: a network behind an address of this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import ModelName, Threads
from risexp.cli.output import note, say

if TYPE_CHECKING:
    from risexp.app.serving.serve import Serving

Host = Annotated[
    str,
    typer.Option(metavar="HOST", help="Where to listen; off loopback everybody needs a token."),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        metavar="PORT",
        help="By default 5001, or a free one where that is taken; 0 takes any free one.",
    ),
]


Names = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="A name that leads here besides this machine's own; may be given again.",
    ),
]


def serve(
    model: ModelName,
    host: Host = "127.0.0.1",
    port: Port = None,
    allow_host: Names = None,
    threads: Threads = 1,
) -> None:
    """Answer requests by a network until Ctrl-C: MLflow's scoring server, in this environment.

    Off loopback a token is needed: that of RISEXP_SERVE_TOKEN, or one that is made and printed.
    """
    import torch

    from risexp.app.serving.serve import serve as served

    torch.set_num_threads(threads)
    served(model, host, port, tuple(allow_host or ()), _tell)
    note("risexp: the server has ended")


def _tell(serving: "Serving") -> None:
    for sentence in serving.named.damaged:
        note(sentence)
    bundle = serving.named.bundle
    say(f"run {bundle.run_id}, epoch {bundle.epoch} answers at {serving.address}/invocations")
    say("try it from another terminal:")
    needed = f'-H "Authorization: {serving.authorization}" ' if serving.authorization else ""
    say(
        f"  curl {serving.address}/invocations -H 'Content-Type: application/json' {needed}"
        f"--data @{serving.example}"
    )
    if needed:
        note("whoever has the token may ask, and what is sent can be read on the way")
    note("Ctrl-C ends it")
