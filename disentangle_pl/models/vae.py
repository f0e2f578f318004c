"""The variational autoencoder: one training step for every objective."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from disentangle_pl.aggregation import Aggregation
from disentangle_pl.backbones import Backbone, ConvBackbone
from disentangle_pl.data.factors import Batch
from disentangle_pl.data.module import ImageData
from disentangle_pl.data.provenance import UNTRAINED, extended, from_plain, joined, to_plain
from disentangle_pl.errors import InputError
from disentangle_pl.likelihoods import Bernoulli, Likelihood
from disentangle_pl.masks.channel_mask import MaskFactory, follow_step, masked_layers, penalties
from disentangle_pl.masks.placement import Placement
from disentangle_pl.models.divergence import Finite
from disentangle_pl.models.rewind import Rewind
from disentangle_pl.models.schedule import Schedule
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.supervision import Supervision

BackboneFactory = Callable[[tuple[int, ...], int], Backbone]
OptimizerFactory = Callable[[Any], Optimizer]
EVERYWHERE = Placement()
PROVENANCE = "provenance"


class VAE(LightningModule, ABC):
    """Everything a variational autoencoder is, but for its objective.

    Subclass to change the objective; choose everything else by the arguments below.

    Args:
        shape: (C, *S) of one image; the command line takes it from the data.
        latent_dim: Number of latents d.
        backbone: Encoder and decoder.
        likelihood: p(x|z).
        mask: Makes the channel mask of a layer of the backbone; null for dense layers.
        placement: Which layers are masked.
        aggregation: Makes the posteriors of a pair share latents; null treats the images of a pair as single images.
        supervision: A penalty for posteriors that disagree with known factors; null for none.
        optimizer: Makes the optimiser from parameter groups; masks are in a group without weight decay.
        scheduler: Moves the learning rates of all groups, by one factor, from step to step; null leaves them alone.

    Attributes:
        own_settings: Modules of an objective that the optimiser treats by settings of their own.
        provenance: Whose images the weights were trained on; it travels in the checkpoint.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: int = 10,
        backbone: BackboneFactory = ConvBackbone,
        likelihood: Likelihood | None = None,
        mask: MaskFactory | None = None,
        placement: Placement = EVERYWHERE,
        aggregation: Aggregation | None = None,
        supervision: Supervision | None = None,
        optimizer: OptimizerFactory = lambda params: Adam(params, lr=1e-4),
        scheduler: Schedule | None = None,
    ) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # From the command line these are plain configurations; Lightning warns when a file is loaded again.
            warnings.filterwarnings("ignore", "Attribute .* is an instance of `nn.Module`")
            self.save_hyperparameters(logger=False)
        self.backbone = backbone(tuple(shape), latent_dim)
        self.likelihood = likelihood or Bernoulli()
        self.aggregation = aggregation
        self.supervision = supervision
        self.optimizer = optimizer
        self.scheduler = scheduler
        if mask is not None:
            placement.apply(self.backbone.encoder, self.backbone.decoder, mask)
        self.masks = list(masked_layers(self.backbone))
        self.own_settings: list[tuple[nn.Module, dict[str, Any]]] = []
        self._finite = Finite()
        self._rewind = Rewind(self.masks)
        self._looked = False
        self.provenance = UNTRAINED

    @abstractmethod
    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Compute the loss of a batch.

        Args:
            nll: (B,) -log p(x|z) in nats.
            kl: (B, d) KL(q(z|x) || N(0, I)) of every latent in nats; what a group has in common may count once.
            q: The posterior (B, d), after aggregation.
            z: (B, d) the latents drawn from it.

        Returns:
            `loss` () to minimise, and the raw, unweighted terms () in nats under their own names.
        """

    def encode(self, image: Tensor) -> DiagonalGaussian:
        """Map images (B, C, *S) to their posteriors (B, d)."""
        return self.backbone.encode(image)

    def decode(self, z: Tensor) -> Tensor:
        """Map latents (B, d) to expected images (B, C, *S)."""
        return self.likelihood.mean(self.backbone.decode(z).float())

    def gather(self, rows: Tensor) -> Tensor:
        """Gather rows (B, ...) of all processes while training, gradients included: (world_size * B, ...).

        Statistics of a batch become those of the global batch, whatever the number of processes.
        """
        if not self.training or self._trainer is None or self.trainer.world_size == 1:
            return rows
        everywhere = cast(Tensor, self.all_gather(rows, sync_grads=True))
        return everywhere.flatten(0, 1)

    def terms(
        self,
        image: Tensor,
        noise: Tensor | None = None,
        *,
        factors: Tensor | None = None,
        changed: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Run the model on images (B, C, *S) or groups (B, G, C, *S) and return the terms of the objective.

        Args:
            image: The images.
            noise: Standard normal (B * G, d); drawn when None.
            factors: (B, k) or (B, G, k), for the supervision.
            changed: (B, k) bool, True where the images of a group may differ, for the aggregation.

        Raises:
            InputError: If the model aggregates but the images come one by one, or is supervised without factors.
        """
        groups = image.dim() - len(self.backbone.shape) - 1
        if self.aggregation is not None and not groups:
            raise InputError(AGGREGATION_WITHOUT_PAIRS)
        x = image.flatten(0, 1) if groups else image
        encoded = q = self.encode(x)
        extra = {}
        if self.aggregation is None:
            kl = q.kl()
        else:
            together = self.aggregation(_grouped(q, image.shape[1]), changed)
            q = DiagonalGaussian(*(moment.flatten(0, 1) for moment in together.posterior))
            kl = (together.posterior.kl() * together.kl_weight).flatten(0, 1)
            extra["shared"] = together.shared.float().sum(2).mean()
        z = q.sample(self._noise(q.mean) if noise is None else noise)
        terms = self.objective(self.likelihood(self.backbone.decode(z), x), kl, q, z) | extra
        if self.supervision is not None:
            if factors is None:
                raise InputError("model.supervision needs data with factors: give such data, or model.supervision=null")
            size = image.shape[1] if groups else 1
            penalty = self.supervision(_grouped(encoded, size), factors.reshape(-1, size, factors.shape[-1]))
            terms |= {"loss": terms["loss"] + self.supervision.strength * penalty, "supervision": penalty}
        return terms

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss () of a batch, penalties of the masks included.

        Raises:
            InputError: At the first step, if the likelihood does not describe such images; at a step that is logged, if
                a loss so far was NaN or infinite on any process.
        """
        if not self._looked:
            self.likelihood.check(batch.image)
            self._looked = True
        terms = self.terms(batch.image, factors=batch.factors, changed=batch.changed)
        loss = terms["loss"]
        if self.masks:
            weighted, raw = penalties(self.masks, self.global_step)
            loss = loss + weighted
            terms |= {"loss": loss, "mask_penalty": raw}
        self._finite.see(loss)
        # Lightning spends a millisecond on every logged step, and keeps only those it writes.
        if self._trainer is None or (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            logged: dict[str, Any] = {f"train/{name}": value.detach() for name, value in terms.items()}
            if self.scheduler is not None and self._trainer is not None:
                logged["train/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log_dict(logged, batch_size=len(batch.image), prog_bar=True)
            self._finite.check(self._trainer, self.global_step)
        return loss

    def on_fit_start(self) -> None:
        """Refuse a training in which the masks cannot do their work."""
        if self.masks and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.masks[0].mask.check(self.trainer.optimizers[0], self.trainer.estimated_stepping_batches)

    def on_train_start(self) -> None:
        """Remember the first values of the parameters if masks go back to them, and whom the model is trained on."""
        self._rewind.begin(self)
        data = self.trainer.datamodule if self._trainer is not None else None  # type: ignore[attr-defined]
        if isinstance(data, ImageData) and data.people is not None:
            self.provenance = extended(self.provenance, data.people)

    def on_validation_start(self) -> None:
        """Refuse to validate, and so to score, a model whose training has diverged."""
        if self.trainer.state.fn == TrainerFn.FITTING:
            self._finite.check(self._trainer, self.global_step, self.parameters())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to save a model whose training has diverged; keep what masks go back to, and who was trained on."""
        self._finite.check(self._trainer, self.global_step, self.parameters())
        checkpoint["first_parameters"] = self._rewind.first
        checkpoint[PROVENANCE] = to_plain(self.provenance)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the first values that masks go back to, and whom the weights were trained on.

        Raises:
            InputError: If the weights are not those of this model, or it cannot be read whom they were trained on.
        """
        if isinstance(checkpoint.get("state_dict"), dict):
            _refuse_other_weights(self.state_dict(), checkpoint["state_dict"])
        self._rewind.first = checkpoint.get("first_parameters", {})
        self.provenance = joined(from_plain(checkpoint.get(PROVENANCE)), self.provenance)

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Log the objective of single images and return the `mean` and `logvar` (B, d) of their posteriors."""
        return self._evaluate(batch, batch_idx, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Log the objective of single images and return the `mean` and `logvar` (B, d) of their posteriors."""
        return self._evaluate(batch, batch_idx, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> DiagonalGaussian:
        """Return the posteriors (B, d) of single images."""
        with self._single_precision():
            return self.encode(batch.image)

    def configure_optimizers(self) -> Any:
        """Build the optimiser: what has its own settings, and masks, free of weight decay, in groups of their own.

        Raises:
            InputError: If the learning rate follows a schedule whose number of steps nothing tells.
        """
        gates = [parameter for masked in self.masks for parameter in masked.without_decay()]
        groups = [{"params": list(module.parameters()), **settings} for module, settings in self.own_settings]
        groups += [{"params": gates, "weight_decay": 0.0}] if gates else []
        grouped = {id(parameter) for group in groups for parameter in group["params"]}
        weights = [p for p in self.parameters() if id(p) not in grouped and p.requires_grad]
        optimizer = self.optimizer([{"params": weights}, *groups])
        if gates:
            optimizer.param_groups[-1]["lr"] *= self.masks[0].mask.speed
        if self.scheduler is None:
            return optimizer
        total = float("inf") if self._trainer is None else self.trainer.estimated_stepping_batches
        scheduler = LambdaLR(optimizer, self.scheduler.factors(total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the trainer is set, optimisers with fused steps too.

        Raises:
            InputError: If gradients are scaled, as in 16-mixed, and the optimiser undoes that only in its own step.
        """
        plugin = self.trainer.precision_plugin
        if not gradient_clip_val or not isinstance(plugin, MixedPrecision):
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif plugin.scaler is None:
            # Lightning refuses fused steps here, though bfloat16 scales nothing that a step would have to undo.
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val, algorithm)
        elif getattr(optimizer, "_step_supports_amp_scaling", False):
            raise InputError(FUSED_AND_SCALED)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        """Make a step, and let the masks follow it: proximal steps and prunings are no gradients."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.masks:
            follow_step(self.masks, self.trainer.optimizers[0], self.global_step + 1)
            self._rewind.after_step(self, optimizer, self.global_step + 1)

    def _noise(self, like: Tensor) -> Tensor:
        # Every process draws the noise of the global batch and keeps its own rows: n processes equal one, and a single
        # generator state in the checkpoint restores them all.
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self._trainer is not None else (1, 0)
        rows = len(like)
        return torch.randn(rows * world, like.shape[1], device=like.device)[rank * rows : (rank + 1) * rows]

    def _single_precision(self) -> torch.autocast:
        # What is scored, drawn or written must not depend on the precision of the training.
        return torch.autocast(self.device.type, enabled=False)

    def _evaluate(self, batch: Batch, batch_idx: int, stage: str) -> dict[str, Tensor]:
        if batch_idx == 0:
            self.likelihood.check(batch.image)
        with self._single_precision():
            q = self.encode(batch.image)
            # A generator of its own keeps validation from moving the random numbers of training.
            generator = torch.Generator(q.mean.device).manual_seed(batch_idx)
            z = q.sample(torch.randn(q.mean.shape, device=q.mean.device, generator=generator))
            output = self.backbone.decode(z)
            terms = self.objective(self.likelihood(output, batch.image), q.kl(), q, z)
        terms["mse"] = (self.likelihood.mean(output.float()) - batch.image).square().mean()
        logged = {f"{stage}/{name}": value for name, value in terms.items()}
        self.log_dict(logged, batch_size=len(batch.image), on_step=False, on_epoch=True, sync_dist=True)
        return q._asdict()


def _grouped(q: DiagonalGaussian, size: int) -> DiagonalGaussian:
    return DiagonalGaussian(*(moment.reshape(-1, size, moment.shape[1]) for moment in q))


AGGREGATION_WITHOUT_PAIRS = (
    "model.aggregation shares latents within pairs, but data.pairs is not set and the images come one by one: set "
    "data.pairs, or model.aggregation=null"
)

FUSED_AND_SCALED = (
    "in 16-mixed precision a fused optimiser cannot clip gradients: set model.optimizer.fused=false, or train in "
    "trainer.precision=bf16-mixed or 32-true, or without trainer.gradient_clip_val"
)


def _refuse_other_weights(own: Mapping[str, Tensor], given: Mapping[str, Any]) -> None:
    shapes, stored = (
        {name: tuple(weight.shape) if isinstance(weight, Tensor) else None for name, weight in weights.items()}
        for weights in (own, given)
    )
    other = next((name for name in [*shapes, *stored] if shapes.get(name) != stored.get(name)), None)
    if other:
        raise InputError(
            f"the checkpoint has {other} of shape {stored.get(other)}, the model {shapes.get(other)}: it is damaged, "
            "or of other settings"
        )
