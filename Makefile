# Every target first readies the machine (scripts/setup.sh); only a Rust toolchain is assumed.

# rustup's default folder, for a shell that was opened before Rust was installed.
CARGO := $(shell command -v cargo || echo "$${CARGO_HOME:-$$HOME/.cargo}/bin/cargo")

# Without a desktop session this is unset, and the Wayland library, which the graphics drivers load, complains.
export XDG_RUNTIME_DIR ?= $(CURDIR)/target/xdg-runtime

# What follows the command, as in `make test ARGS=layering`.
ARGS ?=

.PHONY: help demo test check-targets setup setup-tests ci
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

demo: setup ## train a teacher and a student on handwritten digits; writes runs/demo/report.html
	@"$(CARGO)" run --release -- demo $(ARGS)

test: setup-tests ## run the whole test suite, doc tests included
	@"$(CARGO)" test --no-fail-fast $(ARGS)

check-targets: ## type-check the library for a browser, macOS and Windows
	@for target in $$(scripts/cross-check.sh --list); do scripts/cross-check.sh $$target || exit 1; done

setup: ## check Rust; on Linux, install a Vulkan driver where there is none
	@sh scripts/setup.sh
	@mkdir -p target/xdg-runtime

setup-tests: ## the same, and OpenGL on the CPU, which the tests try too
	@sh scripts/setup.sh --tests
	@mkdir -p target/xdg-runtime

ci: ## run everything that CI runs
	@.ci/run
