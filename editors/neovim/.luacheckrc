std = "luajit"
globals = { "vim" }
max_line_length = 100
max_cyclomatic_complexity = 10
self = false
