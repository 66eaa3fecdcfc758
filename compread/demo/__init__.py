"""What ``compread demo`` and ``compread tasks fetch`` bring in: a small real model and its data."""
