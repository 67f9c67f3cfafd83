"""Chat templates of the forms that known families of models have, in few words; and a tokenizer that knows them all."""

from __future__ import annotations

from typing import Any

from . import workbench

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADERS = (
    "{{ bos_token }}{% for m in messages %}<|head|>{{ m.role }}<|/head|>\n\n{{ m.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)
"""As Llama 3 has it: contents are trimmed."""
INST = (
    "{{ bos_token }}{% set asked = namespace(system='') %}{% for m in messages %}"
    "{% if m.role == 'system' %}{% set asked.system = m.content + '\n\n' %}"
    "{% elif m.role == 'user' %}[INST] {{ asked.system + m.content }} [/INST]{% set asked.system = '' %}"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
    "{% else %}{{ raise_exception('only user and assistant speak here') }}{% endif %}{% endfor %}"
)
"""As Mistral has it: no generation prompt, a space before answers, the system turn within the user's."""
TURNS = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "{% for m in messages %}<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}</turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
"""As Gemma has it: another name for the assistant, no system turn."""
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last and '</think>' not in m.content %}<think>\n\n</think>\n\n"
    "{{ m.content }}{% elif m.role == 'assistant' %}{{ m.content if loop.last else m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""As Qwen 3 has it: only the last answer keeps, or gets, its thoughts."""
PLAIN = (
    "{% for m in messages %}{{ m.role | upper }}: {{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
"""No special token at all."""
WITHIN_A_TOKEN = PLAIN.replace("ASSISTANT:", "ASSISTANT: ")
"""The space belongs to the answer's first token."""
MARKED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""With the marks that TRL needs."""
FORMS = {"chatml": CHATML, "headers": HEADERS, "inst": INST, "turns": TURNS, "plain": PLAIN, "marked": MARKED}
SPECIALS = (
    "<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>", "<|head|>", "<|/head|>", "<|eot|>", "<turn>",
    "</turn>", "[INST]", "[/INST]",
)  # fmt: skip


def tokenizer(template: str = "", vocabulary: int = 320) -> Any:
    """Byte-level, with the special tokens of all forms; EOS is none of those that end turns but the usual one."""
    made = workbench.build_tokenizer(vocabulary, SPECIALS)
    made.chat_template = template or None
    return made
