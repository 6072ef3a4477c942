"""The same with datetime and calendar."""

import calendar
import datetime

names = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
epoch = datetime.date(1970, 1, 1)
for text in [
    "2024-02-29",
    "2023-02-29",
    "1900-12-31",
    "2000-13-01",
    "19x0-01-01",
    "2024-1",
    "0001-01-01",
    "9999-12-31",
]:
    parts = text.split("-")
    if len(parts) != 3 or not all(p.isdigit() for p in parts):
        print(f'Shape("{text}")')
        continue
    year, month, day = map(int, parts)
    if not 1 <= month <= 12:
        print(f"NoSuchMonth({month})")
        continue
    last = calendar.monthrange(year, month)[1]
    if not 1 <= day <= last:
        print(f"no day {day}, the last is {last}")
        continue
    date = datetime.date(year, month, day)
    print(f"{date.isoformat()} is {names[date.weekday()]}, day {(date - epoch).days}")
print("true")
print((datetime.date(2024, 12, 31) + datetime.timedelta(60)).isoformat())
print("[" + ", ".join(str(calendar.isleap(y)).lower() for y in [1600, 1700, 1900, 2000, 2024, 2023]) + "]")
first, last = calendar.monthrange(2024, 2)
cells = ["  "] * first + [f"{d:2d}" for d in range(1, last + 1)]
print(" ".join(names))
for i in range(0, len(cells), 7):
    print(" ".join(cells[i : i + 7]))
