"""Harness of the virtual machine tests: boots the test OS in QEMU and runs scenarios in it."""
