# Short names for what CMake does. `make help` lists them.
.DEFAULT_GOAL := quick
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
# mosquitto lives in /usr/sbin, which is not on everybody's path.
export PATH := $(PATH):/usr/sbin:/sbin
# Where everything is checked, warnings of g++ are errors too (those of clang always are), and several sources go into a compiler run.
configure_and_build = cmake --preset $(1) $(if $(CI),-DBATGW_WERROR=ON -DBATGW_UNITY=ON) --log-level=WARNING >/dev/null && cmake --build --preset $(1)

quick: ## build, and run the tests that need no virtual machine
	@tools/install-packages build
	@$(call configure_and_build,dev)
	@tools/run-tests dev -LE 'canlab|broker|long'

demo: ## simulated pack, gateway, simulated inverter and a real broker, live in the terminal; ARGS="--for 20s"
	@tools/install-packages demo
	@$(call configure_and_build,release) -t batgw
	@build/release/batgw demo $(ARGS)

test: ## every test but the long ones: with a real broker and, in a virtual machine, real kernel CAN
	@tools/install-packages test
	@tools/fetch-kernel
	@$(call configure_and_build,dev)
	@tools/run-tests dev -LE long

check_steps = test format-check traceability tidy asan tsan
check: export CI = true
check: $(check_steps) ## all that a change must pass

check-steps:
	@echo $(check_steps)

asan: ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer, and what of judge and drivers they cover
	@tools/install-packages check
	@$(call configure_and_build,asan)
	@rm -rf build/asan/profiles
	@tools/run-tests asan -LE 'canlab|long'
	@tools/coverage

tsan: ## the tests of everything with threads under ThreadSanitizer
	@tools/install-packages check
	@$(call configure_and_build,tsan) -t tests_threads
	@tools/run-tests tsan -L threads -LE 'canlab|long'

tidy: ## clang-tidy over the program
	@tools/install-packages check
	@cmake --preset dev -DBATGW_UNITY=OFF --log-level=WARNING >/dev/null
	@tools/tidy

cover: ## coverage of judge and drivers by their own tests, and its bar; `make asan` tells it too
	@tools/install-packages check
	@$(call configure_and_build,asan) -t tests_core
	@rm -rf build/asan/profiles
	@tools/run-tests asan -L core -LE long
	@tools/coverage

fuzz: ## every fuzz target for FUZZ_SECONDS (60) each
	@tools/install-packages check
	@$(call configure_and_build,fuzz) -t fuzz_targets
	@tools/fuzz $(FUZZ_SECONDS)

long: ## the long tests
	@tools/install-packages test
	@$(call configure_and_build,dev)
	@tools/run-tests dev -L long

soak: ## the gateway for an hour on two full buses, in a virtual machine; SOAK_SECONDS (3600)
	@tools/install-packages test
	@tools/fetch-kernel
	@$(call configure_and_build,release) -t batgw
	@BATGW_SOAK_S=$(SOAK_SECONDS) CANLAB_TIMEOUT=$$(($(SOAK_SECONDS) + 600)) CANLAB_OPTIONS='--modules can-bcm' tests/canlab/run vcan build/release tests/canlab/soak

bench: ## the figures of docs/benchmarks.md, measured here
	@tools/install-packages test
	@$(call configure_and_build,release) -t batgw batgw_bench
	@build/release/batgw_bench $(ARGS)

mutate: ## mutation testing of the judge: small errors that a test must see; ARGS="--sample 500" or ARGS=safety/that_file.cpp is quicker
	@tools/install-packages test
	@$(call configure_and_build,dev) -t test_safety
	@tools/mutate $(ARGS)

format: ## clang-format everything
	@tools/install-packages check
	@tools/format

format-check: ## tell what clang-format would change
	@tools/install-packages check
	@tools/format --check

docs: ## write what is generated in docs/: layouts from the declarations, the safety case from the citations
	@tools/install-packages build
	@$(call configure_and_build,dev) -t batgw
	@build/dev/batgw layout --write docs/protocols
	@tools/safety-case

traceability: ## every rule has a test that cites it
	@tools/traceability

install: ## program, service and example configuration; PREFIX (/usr/local), DESTDIR
	@tools/install-packages build
	@$(call configure_and_build,release) -t batgw
	@DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)
	@DESTDIR=$(DESTDIR) tools/finish-install $(PREFIX)

clean: ## remove everything built
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.NOTPARALLEL:
.PHONY: quick demo test check asan tsan tidy cover fuzz long soak bench mutate format format-check docs traceability install clean help check-steps
