"""Settings of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rl_diffusion_assets.policy.tasks import Sampling, tasks_of

METHODS = ("policy-gradient", "forward", "reward-gradient")
PRECISIONS = ("float32", "bfloat16")  # of the denoiser; float16 would need its losses scaled
OPTIMIZERS = ("adamw", "adamw-8bit")  # the second: bitsandbytes, two bytes of moments a weight
# What moved each objective most in the sandbox, without guidance (docs/rl.md).
METHOD_OF = {
    "preference": "reward-gradient",
    "fairness": "reward-gradient",
    "composition": "forward",
}


@dataclass(frozen=True)
class Training:
    """Settings of a run. Defaults are those of the sandbox; the paper's are in docs/rl.md."""

    objective: str = "joint"
    seed: int = 0
    method: str = ""  # one of METHODS for every objective; see `method_of` for the default
    iterations: int = 30
    steps: int = 10
    eta: float = 1.0  # times DDPM's noise, or Flow-GRPO's (a = 0.7)
    guidance: float = 1.0
    trained_steps: int = 3
    least_deviation: float = 0.1
    clip: float = 5e-3
    optimizer: str = "adamw"  # one of OPTIMIZERS
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    max_gradient: float = 1.0
    warm_up: int = 4
    cool_down: float = 0.5  # share of the iterations, the last, over which the rate falls
    lora_rank: int = 16  # 0 trains all weights
    text_encoder: bool = False  # whether it learns with the denoiser
    kl_weight: float = 0.0
    pretraining_weight: float = 1.5  # of the learning rate: Adam is blind to that of a loss
    pretraining_steps: int = 10
    pretraining_batch: int = 48
    pretraining_guidance: float = 1.0  # that the model was distilled from, if it was
    noise_bias: float = 1.0  # of pretraining's times: 0 each as likely, 1 the more the noisier
    ema: float = 0.8  # of an iteration's weights; 0 for none
    interpolation: float = 0.8  # share of the way from the base that is kept (2109.01903)
    micro_batch: int = 32
    precision: str = "float32"  # one of PRECISIONS; weights and densities are float32
    gradient_checkpointing: bool = False
    evaluate_every: int = 8
    probe_seed: int = 1_000_000
    checkpoint_every: int = 5
    alarm_fall: float = 0.12  # 200 pictures: a difference of 0.05 is one standard error
    sampling: Mapping[str, Sampling] = field(
        default_factory=lambda: {
            "preference": Sampling(16, 4, pace=3.5),
            "fairness": Sampling(4, 16, pace=3.0),
            "composition": Sampling(16, 4, pace=0.5),
        }
    )

    def __post_init__(self) -> None:
        if self.method not in ("", *METHODS):
            raise ValueError(f"method={self.method!r}: one of {', '.join(METHODS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r}: one of {', '.join(PRECISIONS)}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer={self.optimizer!r}: one of {', '.join(OPTIMIZERS)}")
        if not 0 <= self.cool_down <= 1:
            raise ValueError(f"cool_down={self.cool_down}: a share of the iterations, 0 to 1")
        if not 0 < self.interpolation <= 1:
            raise ValueError(f"interpolation={self.interpolation}: above 0, at most 1 (all)")
        if self.kl_weight and self.method != "policy-gradient":
            raise ValueError("kl_weight: a divergence of steps; only policy-gradient has them")
        if self.guidance != 1.0 and "forward" in map(self.method_of, tasks_of(self.objective)):
            raise ValueError(
                f"guidance={self.guidance}: method 'forward' trains the answer to the caption "
                "alone; choose policy-gradient, or guidance 1"
            )

    def method_of(self, task: str) -> str:
        """How an objective learns: unless told, by METHOD_OF, and with guidance as in the paper."""
        return self.method or (METHOD_OF[task] if self.guidance == 1.0 else METHODS[0])
