module driverext/butane-tool

go 1.19

require github.com/coreos/butane v0.18.0
