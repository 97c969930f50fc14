"""The sample's two providers with their two models each, in the order in which they are asked."""

from __future__ import annotations

from .answers import blamed
from .config import Settings
from .limits import LimitMetrics
from .llm import Models, Provider, Target, chat_model
from .metrics import Metrics


def make_models(settings: Settings, metrics: Metrics, limits: LimitMetrics) -> Models:
    """Strong before cheap, and of each the primary before the fallback.

    A weaker answer of the same provider is worth less than a good one of another. The cheap models have
    limits of their own at their providers, and answer while the strong ones are overloaded.
    """
    urls = {"primary": settings.llm_primary_url, "fallback": settings.llm_fallback_url}
    providers = {
        name: Provider(name, limits.bulkhead(f"llm-{name}", settings), limits.retry_budget(name, settings))
        for name in urls
    }
    tiers = {
        "strong": (settings.llm_model, settings.llm_price, ""),
        "cheap": (settings.llm_cheap_model, settings.llm_cheap_price, "-cheap"),
    }
    targets = [
        Target(
            provider,
            tier,
            chat_model(
                urls[provider.name],
                model,
                settings.llm_timeout,
                keep_alive="keep-alive" not in settings.without,
            ),
            metrics.breaker(f"llm-{provider.name}{suffix}", blame=blamed),
            model,
            price,
        )
        for tier, (model, price, suffix) in tiers.items()
        for provider in providers.values()
    ]
    return Models(targets, timeout=settings.llm_timeout, on_call=limits.call, without=settings.without)
