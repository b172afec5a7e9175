module sendoff

go 1.26.0
