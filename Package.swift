// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),  // to declare ~Escapable views of borrowed bytes
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "siltstone",
  products: [
    .library(name: "Siltstone", targets: ["Siltstone"]),
    .executable(name: "siltstone", targets: ["SiltstoneCLI"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CSnappy", pkgConfig: "snappy", providers: [.apt(["libsnappy-dev"])]),
    .systemLibrary(name: "CURing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
    .target(
      name: "CSupport", dependencies: ["CURing"], path: "CSupport",
      cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "Siltstone", dependencies: ["CSupport", "CLZ4", "CZstd", "CSnappy"],
      swiftSettings: strict),
    .executableTarget(
      name: "SiltstoneCLI",
      dependencies: [
        "Siltstone",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    // A process for the tests to start and to kill.
    .executableTarget(
      name: "siltstone-peer", dependencies: ["Siltstone"], path: "Tests/MultiProcess/Peer", swiftSettings: strict),
    // For tests of what is left when an inserter dies.
    .target(
      name: "CStores", dependencies: ["CSupport"], path: "Tests/Memtable/Stores",
      cSettings: [.define("_GNU_SOURCE")]),
    // For tests of what is left when the owner of a lock dies, or one who waits for it.
    .target(
      name: "CDeaths", dependencies: ["CSupport"], path: "Tests/Sharing/Deaths",
      cSettings: [.define("_GNU_SOURCE")]),
    .testTarget(
      name: "SiltstoneTests", dependencies: ["Siltstone", "CSupport", "CStores", "CDeaths", "siltstone-peer"],
      path: "Tests", exclude: ["MultiProcess/Peer", "Memtable/Stores", "Sharing/Deaths"],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
