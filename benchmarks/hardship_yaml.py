"""Settings out of this world, and YAML that wants more than settings."""

from benchmarks.hardship_damage import ANY, REFUSE, Damage, content, edited
from benchmarks.hardship_texts import CODE, LAUGHS, PWNED, SCRIPT, settings

DATA, MODEL = "data.init_args", "model.init_args"
YAML = [
    Damage("code in a tag", content(CODE), REFUSE),
    Damage("a billion laughs", content(LAUGHS), REFUSE),
    Damage("nested 5,000 deep", content(b"[" * 5000), REFUSE),
    Damage("nested 5,000 deep, closed", content(b"[" * 5000 + b"]" * 5000), REFUSE),
    Damage("a list", content(b"- 1\n- 2\n"), REFUSE),
    Damage("a number", content(b"7\n"), REFUSE),
    Damage("tabs", edited(lambda text: text.replace(b"  ", b"\t")), REFUSE),
    Damage("two documents", edited(lambda text: text + b"---\n" + text), REFUSE),
    Damage("an unknown key", edited(lambda text: text + b"no_such_setting: 1\n"), ANY),
    Damage("all keys twice", edited(lambda text: text + text), ANY),
]
CONFIG = [
    *YAML,
    *settings("seed_everything", -1, 2**70, "x", 1.5, [1], allowed=REFUSE),
    *settings("trainer.max_epochs", "many", -5, 0.5, allowed=REFUSE),
    *settings(f"{DATA}.batch_size", 0, -4, 10**12, "x", None),
    *settings(f"{DATA}.eval_size", 0, -1, 1, "x"),
    *settings(f"{DATA}.steps_per_epoch", 0, -1),
    *settings(f"{DATA}.dataset.init_args.resolution", 0, -5, "x", 1),
    *settings(f"{DATA}.dataset.init_args.x_values", [], [99], [-1], ["x"], [0.5], [0, 0]),
    *settings(
        f"{DATA}.dataset.class_path", "os.system", "no.such.Class", "disentangle_pl.errors.InputError", SCRIPT, ""
    ),
    *settings(f"{MODEL}.latent_dim", 0, -1, "x", 10**12),
    *settings(f"{MODEL}.beta", ".nan", "x", float("nan"), float("inf"), -1),
    *settings(f"{MODEL}.backbone.init_args.encoder_widths", [0], [-3], ["x"], "x", [10**9]),
    *settings(f"{MODEL}.backbone.class_path", "subprocess.Popen", "builtins.eval"),
    *settings("trainer.callbacks", [{"class_path": "os.system", "init_args": {"command": f"touch {PWNED}"}}]),
]
SWEEP = [
    *YAML,
    *settings("method", "best", None, 3),
    *settings("parameters", {}, [], "x", None),
    *settings(
        "parameters.seed_everything", {"values": []}, {"min": 3, "max": 1}, {"distribution": "odd"}, {"values": "x"}, 3
    ),
    *settings("parameters", {"no.such.flag": {"values": [1]}}, {"model.beta": {"values": ["x"]}}),
    *settings("command", "rm -rf", []),
    *settings("command", ["${env}", "${no_such}"], [1, 2], allowed=ANY),
    *settings("metric", {}, {"name": 3}, {"name": "x", "goal": "best"}, "x"),
    *settings("run_cap", 0, -1, "x"),
    *settings("early_terminate", {"type": "x"}, {"type": "hyperband"}, "x"),
]
