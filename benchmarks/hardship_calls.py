"""The calls whose files are damaged, and killed."""

from benchmarks.hardship_settings import MLP, QUIET

FIT = ["--runs_dir=out", "--run_id=a"]
SHORT = [*MLP, *QUIET, "--trainer.max_epochs=1", *FIT]
GRID = ["fit", "--data=SyntheticData", "--data.eval_size=20", *SHORT]
GWAS = "gwas --bed in/cohort.bed --phenotypes=in/z.txt --covariates=in/c.txt --permutations=2 --plots=false --block=15"
PREPARE = ["--size", "8", "8", "8", "--spacing=1.5"]
BRAIN = ["fit", "--data=LongitudinalData", "--data.root=out/p", "--data.split_file=in/split.tsv", *SHORT]
BRAIN += ["--data.size=null", "--data.spacing=null"]
CLINIC = "scans in/scans.tsv --clinical in/clinic.csv --mapping in/mapping.yaml --out out/scans.tsv"
SIMULATE = ["simulate", "--subjects=2", "--size=24", "--visits", "0", "6", "--snps=30", "--out=out/s"]
WEIGHTS = ("a/metrics.csv", "a/checkpoints/*.ckpt")


def scan_of(suffix: str) -> str:
    """Return the scan that is damaged."""
    return f"in/bids/sub-02/ses-M012/anat/sub-02_ses-M012_T1w{suffix}"


TRAINED = (["fit", "--config=in/config.yaml", *FIT],)
EVALUATE = ["evaluate", "out/a/checkpoints/last.ckpt", "--quick=true", "--references=false", "--out=out/e"]
RESUMED = ["fit", "--config=in/config.yaml", "--trainer.max_epochs=3", *FIT]
PREPARED = ["prepare", "in/bids", "--out=out/p", *PREPARE]
LEFT_OUT = ("p/left_out.tsv", "sub-02_ses-M012")
CORRUPT = ("t/runs.tsv", "corrupt")
STUDIED = [*GWAS.split(), "--out=out/g"]
