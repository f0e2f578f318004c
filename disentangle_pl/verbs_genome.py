"""The verb of the command line that relates phenotypes to the genome."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from disentangle_pl.brain.withdrawals import read_withdrawn
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.clumping import Clumping
from disentangle_pl.genetics.exports import Kind
from disentangle_pl.genetics.genotypes import Limits
from disentangle_pl.genetics.people import (
    as_categories,
    has_component,
    read_people,
    with_columns,
    without_withdrawn,
)
from disentangle_pl.genetics.traits import Summary
from disentangle_pl.studies.gwas import Plan, associate
from disentangle_pl.studies.gwas_inputs import Phenotyped
from disentangle_pl.studies.gwas_report import Told
from disentangle_pl.studies.gwas_results import Results, associated
from disentangle_pl.verb_parser import VerbParser, verb_parser


def gwas(args: Sequence[str]) -> None:
    """Associate all variants with latents, or with any phenotypes.

    Examples:
        disentangle-pl gwas --bed cohort.bed --phenotypes z.txt --covariates age_sex_pcs.txt --out study
        disentangle-pl gwas --bed chr{chr}.bed --phenotypes z.txt --covariates c.txt --out study --shard 3/22
        disentangle-pl gwas --bed chr{chr}.bed --phenotypes z.txt --covariates c.txt --out study --merge=true
        disentangle-pl gwas --bed cohort.bed --checkpoint runs/ada/checkpoints/last.ckpt --out study --export regenie
        disentangle-pl gwas --bed cohort.bed --checkpoint last.ckpt --out study --combat.batch=site
        disentangle-pl gwas --bed cohort.bed --phenotypes z.txt --covariates c.txt --loco step1_pred.list --out study
        disentangle-pl gwas --bed cohort.bed --results plink2.*.glm.linear --out study
        disentangle-pl gwas --results saige_z0.txt --ld_reference 1000genomes.pgen --out study --export ssf
        disentangle-pl gwas --bed ukb_c{chr}.bgen --sample ukb.sample --phenotypes z.txt --info 0.8 --out study
        disentangle-pl gwas --bed c.bed --phenotypes z.txt --pheno_name z0 --covariates c.txt --categorical site --out s
    """
    does = (
        "Least squares of all phenotypes on all variants at once, exact where calls are missing, and tests of all "
        "phenotypes together; lambda, QQ and Manhattan plots, thresholds, lead variants and a control by permuted "
        "genotypes. The same command goes on after a kill. For unrelated people: covariates ought to hold ancestry "
        "components; for others take --loco, or --results of another program."
    )
    parser = verb_parser("gwas", does, gwas.__doc__)
    _what(parser)
    _how(parser)
    model = None if on_tables(args) else import_module("disentangle_pl.verbs_genome_model")
    given = parser.parse_args(args) if model is None else model.parse(parser, args)
    if sum(bool(each) for each in (given.phenotypes, given.checkpoint, given.results)) != 1:
        raise InputError("give gwas either --phenotypes FILE, or --checkpoint FILE, or --results FILES, not both")
    if given.withdrawn:
        read_withdrawn(given.withdrawn)
    if model is not None and given.combat.batch is not None and not given.checkpoint:
        raise InputError("--combat.batch takes sites out of the latents of --checkpoint: give one, or leave it out")
    if not given.bed and not (given.results and given.ld_reference):
        raise InputError("give gwas --bed FILES of genotypes, or --results with --ld_reference")
    if given.jobs is not None and given.jobs < 1:
        raise InputError(f"--jobs {given.jobs} are none: give at least 1")
    if given.results:
        _of_others(given)
        return
    plan = Plan(
        tuple(given.bed),
        Limits(given.maf, given.geno, given.hwe, given.info),
        given.block,
        _shard(given.shard),
        given.rint,
        given.mostest_permute,
        given.multivariate,
        given.seed,
        given.build,
        given.permutations,
        given.loco,
        given.sample,
    )
    phenotyped = _from_files(given) if model is None or not given.checkpoint else model.phenotypes(given, parser)
    phenotyped = _columns(given, phenotyped)
    phenotyped = phenotyped._replace(phenotypes=without_withdrawn(phenotyped.phenotypes, given.withdrawn))
    phenotyped = _with_ancestry(phenotyped)
    told = _told(given, phenotyped.remarks)
    with threadpool_limits(given.jobs):
        associate(plan, phenotyped.phenotypes, phenotyped.covariates, given.out, told, given.merge)
    if model is not None and phenotyped.sites:
        model.write_lines(phenotyped.sites, given.out)


def on_tables(args: Sequence[str]) -> bool:
    """Tell whether the arguments of `gwas` ask for no model, so that torch, seconds of a start, need not be loaded."""
    return not any(arg.startswith(("--checkpoint", "--combat", "--config", "--data", "--help", "-h")) for arg in args)


def _what(parser: VerbParser) -> None:
    parser.add_argument(
        "--bed",
        "--genotypes",
        nargs="+",
        type=str,
        default=[],
        help=".bed, .pgen, .bgen, .vcf[.gz] or .bcf files; {chr} in a path is every chromosome",
    )
    parser.add_argument(
        "--sample",
        type=str | None,
        help="people of .bgen, .vcf, .bcf: .sample, .psam or .fam (default: beside or inside)",
    )
    parser.add_argument("--phenotypes", type=Path | None, help="a table of FID, IID and a column a phenotype")
    parser.add_argument("--checkpoint", type=Path | None, help="instead: the latents of a model of brain scans")
    parser.add_argument("--pheno_name", nargs="+", type=str, default=[], help="phenotypes, or latents, to test")
    parser.add_argument(
        "--results",
        nargs="+",
        type=Path,
        default=[],
        help="instead: tests of plink2, regenie, SAIGE, BOLT-LMM, fastGWA, or GWAS-SSF, of all phenotypes",
    )
    parser.add_argument("--results_n", type=int | None, help="people in --results, where these do not tell (BOLT-LMM)")
    parser.add_argument("--summary", type=Summary, default="baseline", help="with --checkpoint: one value a person")
    parser.add_argument(
        "--with-training", type=bool, default=False, help="with --checkpoint: also the people it was trained on"
    )
    parser.add_argument(
        "--covariates",
        type=Path | None,
        help="FID, IID and numbers or texts, such as ancestry components; they join those of --checkpoint: age, age2, "
        "sex, site and head size where these are known",
    )
    parser.add_argument("--covar_name", nargs="+", type=str, default=[], help="columns of --covariates to take")
    parser.add_argument(
        "--categorical", nargs="+", type=str, default=[], help="covariates whose numbers are names of groups"
    )
    parser.add_argument(
        "--loco", type=Path | None, help="step1_pred.list of regenie: take off what other chromosomes predict"
    )
    parser.add_argument("--withdrawn", type=Path | None, help="a file of people to leave out, such as w12345.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study, new or of an earlier call")
    parser.add_argument("--maf", type=float, default=0.01, help="least frequency of the rarer allele")
    parser.add_argument("--geno", type=float, default=0.05, help="largest share of missing calls")
    parser.add_argument("--hwe", type=float, default=1e-6, help="least p of Hardy-Weinberg proportions (exact, mid-p)")
    parser.add_argument("--info", type=float, default=0.3, help="least r2 of imputation, from dosages (MaCH's)")
    parser.add_argument("--build", type=str | None, help="genome build, such as GRCh38 (default: by APOE's variants)")


def _how(parser: VerbParser) -> None:
    parser.add_argument("--rint", type=bool, default=True, help="phenotypes as normal quantiles of their ranks")
    parser.add_argument("--multivariate", type=bool, default=True, help="also test all phenotypes together")
    parser.add_argument(
        "--mostest-permute", type=bool, default=False, help="permute all genotypes too: p of MOSTest and min-P"
    )
    parser.add_argument(
        "--block",
        type=int | None,
        help="variants in memory at a time, 4 bytes x block x people and 300 bytes x block x phenotypes (default: what "
        "an eighth of the free memory holds, up to 8,000)",
    )
    parser.add_argument("--jobs", type=int | None, help="threads of matrix products (default: all processors)")
    parser.add_argument("--shard", type=str, default="1/1", help="do this share i/n of the blocks only")
    parser.add_argument("--merge", type=bool, default=False, help="put the blocks of all shards together, and report")
    parser.add_argument(
        "--permutations", type=int | None, help="of the people of every block, for the control (default: by its cost)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the permutations")
    parser.add_argument("--clump-r2", type=float, default=0.1, help="r2 from which a variant belongs to a lead variant")
    parser.add_argument("--clump-kb", type=int, default=250, help="and its largest distance in 1,000 base pairs")
    parser.add_argument(
        "--ld_reference",
        nargs="+",
        type=str,
        default=[],
        help="genotypes of other people to clump by (default: --bed); with --results these need no --bed then",
    )
    parser.add_argument(
        "--planted", type=Path | None, help="truth_snps.tsv of a simulated cohort (default: the one beside)"
    )
    parser.add_argument("--against", type=Path | None, help="another finished study, drawn mirrored (miami.png)")
    parser.add_argument("--export", nargs="+", type=Kind, default=[], help="text files a phenotype")
    parser.add_argument("--scripts", type=bool, default=False, help="write tables and scripts for plink2 and regenie")
    parser.add_argument("--trait", type=str, default="latent of a brain model", help="for the metadata of ssf")
    parser.add_argument("--plots", type=bool, default=True, help="draw pictures")


def _told(given: Any, remarks: Sequence[str]) -> Told:
    clumping = Clumping(given.clump_r2, given.clump_kb * 1000)
    clumping.check()
    planted, said = _planted(given)
    pictures = given.plots, given.against
    remarks = [*remarks, *said]
    return Told(clumping, planted, given.export, given.trait, *pictures, remarks, given.scripts, given.ld_reference)


def _of_others(given: Any) -> None:
    names = ("covariates", "loco", "merge", "scripts", "withdrawn", "pheno_name", "covar_name", "categorical")
    useless = {name: given[name] for name in names}
    idle = [f"--{name}" for name, value in useless.items() if value]
    if idle:
        raise InputError(f"--results are of tests that are made: {idle[0]} is of no use with them, leave it out")
    results = Results(given.results, given.bed, given.sample, given.results_n)
    associated(results, given.out, _told(given, []), given.build)


def _planted(given: Any) -> tuple[Path | None, list[str]]:
    """Find what was planted in a simulated cohort, whose genotypes lie in a folder of their own within it."""
    beside = {Path(bed).absolute().parent.parent / "truth_snps.tsv" for bed in given.bed}
    if given.planted or len(beside) != 1 or not next(iter(beside)).is_file():
        return given.planted, []
    return next(iter(beside)), [f"planted effects are those of {next(iter(beside))}, which lies beside the genotypes"]


def _columns(given: Any, phenotyped: Phenotyped) -> Phenotyped:
    """Take the columns that were asked for."""
    covariates = phenotyped.covariates
    if covariates is None and (given.covar_name or given.categorical):
        raise InputError("--covar_name and --categorical are of --covariates: give that table, or leave them out")
    if covariates is not None:
        covariates = with_columns(covariates, given.covar_name, "--covar_name")
        covariates = as_categories(covariates, given.categorical, "--categorical")
    phenotypes = with_columns(phenotyped.phenotypes, given.pheno_name, "--pheno_name")
    return phenotyped._replace(phenotypes=phenotypes, covariates=covariates)


def _shard(text: str) -> tuple[int, int]:
    i, _, n = text.partition("/")
    try:
        return int(i), int(n)
    except ValueError as error:
        raise InputError(f"--shard takes i/n, such as 3/22, and {text!r} is none") from error


def _from_files(given: Any) -> Phenotyped:
    covariates = read_people(given.covariates) if given.covariates else None
    remarks = [] if covariates else ["**without covariates, age, sex and ancestry confound what is found**"]
    return Phenotyped(read_people(given.phenotypes), covariates, remarks)


def _with_ancestry(phenotyped: Phenotyped) -> Phenotyped:
    """Say it where nothing among the covariates looks like a component of ancestry."""
    covariates = phenotyped.covariates
    names = [] if covariates is None else [str(name) for name in covariates.values.columns]
    if has_component(names):
        return phenotyped
    said = (
        "no covariate looks like a component of ancestry (PC1, ...): people of several ancestries make hits that are "
        "none; --scripts=true writes ancestry.sh, which makes components by plink2 for --covariates"
    )
    return phenotyped._replace(remarks=[*phenotyped.remarks, said])
