"""Every option of a training run, its unit and its default."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from generator.spec import Noise
from training.combinations import senseless

Loss = Literal[
    "saturating", "nonsaturating", "linear", "least-squares", "wasserstein", "hinge", "relativistic"
]
Conditioning = Literal["projection", "concatenation"]
Norm = Literal["batch", "none"]
Output = Literal["tanh", "sigmoid"]
Augmentation = Literal["colour", "translation", "cutout"]
Fit = Literal["pad", "resize"]
Precision = Literal["auto", "float32", "bfloat16"]

MIN_NETWORK_SIZE = 16
MAX_NETWORK_SIZE = 128

# What each number may be, from .. to.
LIMITS: dict[str, tuple[float, float]] = {
    "latent_dim": (1, 4096),
    "generator_width": (1, 1024),
    "discriminator_width": (1, 1024),
    "class_gain": (1e-3, 1e3),
    "minibatch_kernels": (0, 1024),
    "pack": (1, 16),
    "discriminator_steps": (1, 100),
    "unrolled_steps": (0, 100),
    "weight_clip": (1e-9, 1e3),
    "gradient_penalty": (0, 1e6),
    "r1": (0, 1e6),
    "r1_end": (0, 1e6),
    "r2": (0, 1e6),
    "r2_end": (0, 1e6),
    "label_smoothing": (0, 0.5),
    "label_noise": (0, 0.5),
    "instance_noise": (0, 10),
    "instance_noise_end": (0, 10),
    "replay": (0, 1e6),
    "augment_probability": (0, 1),
    "augment_probability_end": (0, 1),
    "batch": (2, 65536),
    "total_kimg": (0.001, 1e9),
    "generator_lr": (1e-9, 1),
    "generator_lr_end": (0, 1),
    "discriminator_lr": (1e-9, 1),
    "discriminator_lr_end": (0, 1),
    "beta1": (0, 0.9999),
    "beta2": (0, 0.99999),
    "beta2_end": (0, 0.99999),
    "ema_halflife_kimg": (0, 1e6),
    "seed": (0, 2**32 - 1),
    "held_out": (0, 1e6),
    "checkpoint_kimg": (0.001, 1e9),
    "stats_kimg": (0.001, 1e9),
}


class ConfigError(ValueError):
    """Options that make no training run."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run. The command line is made from these fields."""

    data: str = ""
    """Where the images are: a folder with one folder per class, an .npz (images, labels, class_names), a
    folder of MNIST-style IDX files, hf:NAME (a Hugging Face data set), or 'shapes' (drawn on the fly)."""
    out: str = ""
    """The run folder; empty means runs/PRESET."""
    name: str = "generator"
    """What the generator will be called."""
    data_name: str = ""
    """The data set's name, for the record; empty means the last part of --data."""
    data_licence: str = "not stated"
    """The data set's licence, for the record."""
    data_attribution: str = ""
    """Whom the data set's licence asks to name."""

    image_size: int | None = None
    """Resize images to this many pixels first; None keeps the data's own size."""
    fit: Fit = "pad"
    """For sizes other than 16, 32, 64, 128: pad up to the next and crop back, or resize up to the next."""
    channels: Literal[1, 3] | None = None
    """1 grey, 3 RGB; None means what the data has."""
    mirror: bool = False
    """Also train on left-right mirrored images."""
    balance: bool = False
    """Show every class equally often, however many images it has."""

    latent_dim: int = 64
    """Components of the latent vector."""
    noise: Noise = "gaussian"
    """What latents are drawn from."""
    generator_width: int = 48
    """Feature maps of the generator's layer at half the output size; each halving doubles them, to 8 x."""
    discriminator_width: int = 48
    """Feature maps of the discriminator's first layer; each halving doubles them, to 8 x."""
    generator_norm: Norm = "batch"
    """Normalisation between the generator's layers."""
    class_gain: float = 1.0
    """How much a class says in the generator's first layer at the beginning, a component of the latent saying
    1; the square root of --latent-dim is as much as the whole latent."""
    output: Output = "tanh"
    """The generator's last function: tanh, or a sigmoid stretched to [-1, 1]."""
    conditioning: Conditioning = "projection"
    """How the discriminator is told the class: by a projection (Miyato and Koyama 2018), or by an embedding
    joined to the image's features (Mirza and Osindero 2014)."""
    spectral_norm: bool = True
    """Spectral normalisation of the discriminator (Miyato et al. 2018)."""
    discriminator_norm: Norm = "none"
    """Batch normalisation in the discriminator, as in DCGAN; real and generated images are apart then."""
    minibatch_kernels: int = 0
    """Features that compare an image with the rest of its batch (Salimans et al. 2016); 0 is none."""
    pack: int = 1
    """Images that are judged together (PacGAN, Lin et al. 2018)."""

    loss: Loss = "hinge"
    """The objective."""
    discriminator_steps: int = 1
    """Steps of the discriminator for each one of the generator."""
    one_stage: bool = False
    """Both networks learn from one pass of the discriminator (Shen et al. 2021), which saves the generator's
    own: it is judged by the discriminator before its step, not after."""
    unrolled_steps: int = 0
    """Steps that the discriminator looks ahead when the generator is judged (Metz et al. 2017)."""
    weight_clip: float | None = None
    """Discriminator weights stay within plus or minus this (WGAN, Arjovsky et al. 2017: 0.01)."""
    gradient_penalty: float = 0.0
    """Weight of the penalty that keeps gradients at length 1 (WGAN-GP, Gulrajani et al. 2017: 10)."""
    r1: float = 0.0
    """Gamma of the penalty on gradients at real images (Mescheder et al. 2018)."""
    r1_end: float | None = None
    """The same at the end of the run. Every *_end: the way there is a cosine; None means constant."""
    r2: float = 0.0
    """Gamma of the penalty on gradients at generated images."""
    r2_end: float | None = None
    """The same at the end of the run."""
    label_smoothing: float = 0.0
    """Real images are to score 1 minus this instead of 1 (one-sided, Salimans et al. 2016: 0.1)."""
    label_noise: float = 0.0
    """Probability that a real image and a generated one change sides in the discriminator's step."""
    instance_noise: float = 0.0
    """Standard deviation of Gaussian noise on all that the discriminator sees, pixels being in [-1, 1]
    (Arjovsky and Bottou 2017; Sonderby et al. 2017)."""
    instance_noise_end: float | None = 0.0
    """The same at the end of the run."""
    replay: int = 0
    """Earlier generated images that are kept; half of those that the discriminator learns from are of them
    (Shrivastava et al. 2017). 0 is none."""
    augment: tuple[Augmentation, ...] = ()
    """What is done to all images that the discriminator sees, against overfitting (DiffAugment, Zhao et al.
    2020)."""
    augment_probability: float = 1.0
    """Share of images to which each of them is done."""
    augment_probability_end: float | None = None
    """The same at the end of the run."""

    batch: int = 64
    """Images a step."""
    total_kimg: float = 1000
    """Length of the run in thousands of real images shown."""
    generator_lr: float = 2e-4
    """Adam's learning rate for the generator."""
    generator_lr_end: float | None = None
    """The same at the end of the run."""
    discriminator_lr: float = 4e-4
    """Adam's learning rate for the discriminator (two rates: TTUR, Heusel et al. 2017)."""
    discriminator_lr_end: float | None = None
    """The same at the end of the run."""
    beta1: float = 0.0
    """Adam's decay of the mean gradient."""
    beta2: float = 0.9
    """Adam's decay of the squared gradient."""
    beta2_end: float | None = None
    """The same at the end of the run."""
    ema_halflife_kimg: float = 10
    """Half-life of the generator weights' moving average; shorter early on (1/20 of the run so far). 0 is
    none."""

    seed: int = 0
    """Of weights, data order and latents."""
    checkpoint_kimg: float = 50
    """A checkpoint and a sample sheet every so many thousand images."""
    stats_kimg: float = 5
    """A line in stats.jsonl every so many thousand images."""
    held_out: int | None = None
    """Images set aside where the data has no test set: how the discriminator scores them, next to those that
    it learns from, shows overfitting. None: a twentieth, at most 512, and none of fewer than 500."""
    tensorboard: bool = False
    """Also write statistics, alarms and sheets for TensorBoard, into the run folder's tensorboard/."""
    best_kimg: float | None = None
    """A small evaluation every so many thousand images keeps the best checkpoint, best.pt; None: none."""
    stop_when_converged: bool = False
    """Stop when the last five of those evaluations brought no score that is 1 % better than the best before
    them (early stopping: Prechelt 1998)."""
    precision: Precision = "auto"
    """Of the networks' arithmetic; weights stay float32. auto is bfloat16 on a GPU that has it, else
    float32."""
    compile: bool = False
    """Let torch.compile make the networks' code, for which it needs a C++ compiler (on a GPU, Triton); the
    first steps then take a minute or more."""
    threads: int | None = None
    """CPU threads; None means all cores."""
    device: str = "auto"
    """auto, cpu, or cuda."""

    def __post_init__(self) -> None:
        for field, (low, high) in LIMITS.items():
            value = getattr(self, field)
            if value is not None and not low <= value <= high:
                raise ConfigError(f"--{field.replace('_', '-')} {value}: allowed are {low:g} to {high:g}")
        if self.image_size is not None and not 4 <= self.image_size <= MAX_NETWORK_SIZE:
            raise ConfigError(f"--image-size {self.image_size}: allowed are 4 to {MAX_NETWORK_SIZE} pixels")
        if self.best_kimg is not None and not 0.001 <= self.best_kimg <= 1e9:
            raise ConfigError(f"--best-kimg {self.best_kimg:g}: allowed are 0.001 to 1e+09, or None")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads {self.threads}: at least 1")
        if reason := senseless(self):
            raise ConfigError(reason)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"augment": list(self.augment)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> TrainConfig:
        """The configuration that `to_json` wrote. Raises ConfigError for a key that is not an option."""
        if unknown := sorted(set(fields) - set(cls.__dataclass_fields__)):
            raise ConfigError(f"{unknown[0]!r} is not an option of this version's training")
        return cls(**{**fields, "augment": tuple(fields.get("augment", ()))})  # JSON has lists only
