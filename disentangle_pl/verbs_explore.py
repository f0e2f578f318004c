"""The verb of the command line that opens a model in a browser."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.explorer.address import LOOPBACK, bound, is_loopback
from disentangle_pl.studies.explore import explored
from disentangle_pl.verb_parser import data_of_run, verb_parser

PORT = 8080


def explore(args: Sequence[str]) -> None:
    """Move the latents of a model in a browser.

    Examples:
        disentangle-pl explore runs/mine/checkpoints/last.ckpt
        disentangle-pl explore runs/mine/checkpoints/last.ckpt --port 0 --open=true
        disentangle-pl explore last.ckpt --data.root=scans.tsv --data.truth=volumes.csv --out pictures
    """
    does = (
        "A page on this machine with a slider a latent, the decoded image and its difference to the image that it "
        "started from, what the codes say of factors, and buttons that set a factor, take latents from another image, "
        "or add years to a brain. Nothing leaves the machine."
    )
    parser = verb_parser("explore", does, explore.__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a model of this package")
    parser.add_argument("--port", type=int, default=PORT, help="0 for any that is free")
    parser.add_argument("--host", type=str, default=LOOPBACK, help="another one lets other machines see the images")
    parser.add_argument("--open", type=bool, default=False, help="open a browser")
    parser.add_argument("--out", type=Path, default=Path("explore"), help="where Save writes; nothing else is written")
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(ImageData, "data", required=False, help="images (default: those of the run)")
    given = parser.parse_args([*data_of_run(args), *args])
    if not given.checkpoint.is_file():
        raise InputError(f"there is no checkpoint at {given.checkpoint}: give the path of a .ckpt file of a run")
    if given.data is None:
        raise InputError("the run of the checkpoint has no config.yaml beside it: give --data or --config")
    made: Any = parser.instantiate_classes(given)
    try:
        with bound(given.host, given.port) as place:
            if not is_loopback(given.host):
                print(f"warning: {given.host} lets every machine of the network see these images", file=sys.stderr)
            model = explored(given.checkpoint, made.data)
            # NiceGUI takes a second to import, which no other verb is to wait for
            page: Any = import_module("disentangle_pl.explorer.serve")
            page.serve(model, place, given.host, given.out, given.open)
    except KeyboardInterrupt:  # not where a shell has started this in the background: the server then just returns
        pass
    print("ended", flush=True)
