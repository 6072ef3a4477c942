"""Prints what sales_report.reml must print."""
# ruff: noqa: UP031  (printf directives are what is compared)

rows = [
    ("north", "apples", 120, 1.25),
    ("south", "pears", 80, 2.5),
    ("north", "pears", 33, 2.45),
    ("west", "quinces", 5, 19.999),
    ("south", "apples", 250, 1.2),
    ("north", "apples", 60, 1.3),
]
print("%-8s|%-10s|%8s|%10s|%6s" % ("region", "item", "count", "price", "share"))
print("-" * 46)
whole = sum(count * price for _, _, count, price in rows)
for region, item, count, price in rows:
    print("%-8s|%-10s|%8d|%10.2f|%5.1f%%" % (region, item, count, price, 100 * count * price / whole))
print("-" * 46)
regions = {}
for region, _, count, price in rows:
    regions.setdefault(region, []).append(count * price)
for region in sorted(regions):
    values = regions[region]
    print("%-8s %3d orders %+10.3f mean %.4e" % (region, len(values), sum(values), sum(values) / len(values)))
print("total %012.4f %s" % (whole, "#" * round(whole / 50)))
print("%x %X %#x %o %05d %+d % d %c %s" % (255, 255, 4096, 8, 42, 7, 7, "é", [1, 2]))
for n in [0.1, 1234567.0, 1e-5, 10.0, 1e20]:
    print("%g %e %f" % (n, n, n))
longest = max(len(item) for _, item, _, _ in rows)
for item in sorted({item for _, item, _, _ in rows}):
    print(f"{item.upper():>{longest}} {sum(count for _, other, count, _ in rows if other == item):6d}")
