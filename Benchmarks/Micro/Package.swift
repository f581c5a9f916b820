// swift-tools-version: 6.2
import PackageDescription

// The engine's inner loops, one by one. They are internal, and an optimiser that sees only one side of a module's wall
// compiles them otherwise than inside the engine: so here the engine's sources, by links, and the benchmarks make up
// one module, and what is measured is what the engine runs.

let package = Package(
  name: "siltstone-microbench",
  products: [.executable(name: "siltstone-microbench", targets: ["siltstone-microbench"])],
  targets: [
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CSnappy", pkgConfig: "snappy", providers: [.apt(["libsnappy-dev"])]),
    .systemLibrary(name: "CURing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
    .target(name: "CSupport", dependencies: ["CURing"], cSettings: [.define("_GNU_SOURCE")]),
    .executableTarget(
      name: "siltstone-microbench", dependencies: ["CSupport", "CLZ4", "CZstd", "CSnappy"],
      path: "Sources/MicroBench", exclude: ["Engine/Siltstone.docc"],
      swiftSettings: [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableExperimentalFeature("Lifetimes"),
        .treatAllWarnings(as: .error),
      ],
      // Packaged versions of valgrind give up on the debug information that Swift writes (DWARF 5).
      linkerSettings: [.unsafeFlags(["-Xlinker", "--strip-debug"])]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
