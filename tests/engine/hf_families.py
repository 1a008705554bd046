"""Tiny configurations of families that transformers computes: what each differs in is switched on.

`WINDOW` is shorter than the tests' prompts, so that windows matter.
"""

from typing import Any

WINDOW = 10

EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LATENT = {  # attention over a latent vector, DeepSeek's
    "kv_lora_rank": 16,
    "q_lora_rank": 12,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
ALTERNATING = {
    "sliding_window": WINDOW,
    "layer_types": ["sliding_attention", "full_attention"],
}
ALL_HEADS = {"num_key_value_heads": 4}  # families without shared key heads
SPECIAL = {
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}  # defaults exceed our vocabulary

CONFIGS: dict[str, dict[str, Any]] = {
    "apertus": {},
    "arcee": {},
    "cohere": {**SPECIAL, "logit_scale": 2.0},
    "cohere2": {**SPECIAL, **ALTERNATING, "head_dim": 8, "logit_scale": 2.0},
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "ernie4_5": {**SPECIAL, "head_dim": 8},
    "exaone4": {**SPECIAL, **ALTERNATING},
    "gemma": {**SPECIAL, "head_dim": 16},
    "gemma2": {**SPECIAL, **ALTERNATING, "head_dim": 16, "attn_logit_softcapping": 2.0},
    "gemma3_text": {**SPECIAL, **ALTERNATING, "head_dim": 16},
    "glm": {**SPECIAL, "head_dim": 8},
    "glm4": {**SPECIAL, "head_dim": 8},
    "gpt2": {**SPECIAL, **ALL_HEADS, "n_inner": 48},
    "gpt_bigcode": {**SPECIAL, "n_inner": 48, "multi_query": True},
    "gpt_neox": {**SPECIAL, **ALL_HEADS},
    "gpt_oss": {**SPECIAL, **ALTERNATING, "head_dim": 8, "num_local_experts": 4},
    "granitemoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "hunyuan_v1_dense": {**SPECIAL, "head_dim": 8},
    "minimax_m2": {**SPECIAL, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    "ministral3": {**SPECIAL, "head_dim": 8},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": WINDOW},
    "nemotron": SPECIAL,
    "olmo": SPECIAL,
    "olmo2": SPECIAL,
    "olmo3": {**SPECIAL, **ALTERNATING},
    "olmoe": {**SPECIAL, **EXPERTS},
    "opt": {**SPECIAL, **ALL_HEADS, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "phi": SPECIAL,
    "phi3": {**SPECIAL, "sliding_window": WINDOW},
    "qwen2": {
        "use_sliding_window": True,
        "max_window_layers": 1,
        "sliding_window": WINDOW,
    },
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 24},
    "qwen3_moe": {**EXPERTS, "head_dim": 16},
    "seed_oss": {**SPECIAL, "head_dim": 8},
    "smollm3": {**SPECIAL, "no_rope_layers": [1, 0]},
    "stablelm": {**SPECIAL, "partial_rotary_factor": 0.5, "qk_layernorm": True},
}

# "hf-qwen2": some of them share a model type with a family that our decoder computes
HF_FAMILIES = {f"hf-{kind}": {"model_type": kind, **changes} for kind, changes in CONFIGS.items()}

# their code or their layers leave no room for trees
REFUSED = {
    "hf-codegen": {**SPECIAL, "model_type": "codegen", **ALL_HEADS, "n_inner": 48, "rotary_dim": 4},
    "hf-qwen3_next": {
        **EXPERTS,
        "model_type": "qwen3_next",
        "layer_types": ["linear_attention", "full_attention"],
        "head_dim": 16,
        "shared_expert_intermediate_size": 24,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
}
