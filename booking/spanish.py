"""Numbers in the sentences that the operator reads, who has no catalogue: always Spanish."""

from datetime import timedelta


def counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def span(length: timedelta) -> str:
    """The two largest units of it: «1 día y 3 horas»."""
    minutes = round(length.total_seconds()) // 60
    parts = (
        (minutes // 1440, "día", "días"),
        (minutes // 60 % 24, "hora", "horas"),
        (minutes % 60, "minuto", "minutos"),
    )
    return " y ".join([counted(*part) for part in parts if part[0]][:2]) or "menos de un minuto"
