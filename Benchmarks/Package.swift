// swift-tools-version: 6.2
import Foundation
import PackageDescription

// A package of its own, so that peers and plots never weigh on those who embed the engine.

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

/// An engine to compare with: built in if the machine has its C interface, left out if not.
struct Peer {
  let name: String
  let module: String
  let pkgConfig: String?
  let header: String
  let package: String

  var target: Target {
    .systemLibrary(name: module, pkgConfig: pkgConfig, providers: [.apt([package])])
  }
  var define: SwiftSetting { .define("PEER_" + name.uppercased()) }
}

let peers = [
  Peer(name: "rocksdb", module: "CRocksDB", pkgConfig: "rocksdb", header: "rocksdb/c.h", package: "librocksdb-dev"),
  Peer(name: "leveldb", module: "CLevelDB", pkgConfig: nil, header: "leveldb/c.h", package: "libleveldb-dev"),
  Peer(name: "lmdb", module: "CLMDB", pkgConfig: "lmdb", header: "lmdb.h", package: "liblmdb-dev"),
  Peer(name: "sqlite", module: "CSQLite", pkgConfig: "sqlite3", header: "sqlite3.h", package: "libsqlite3-dev"),
]

/// The peers that this machine has. The Makefile says which (SwiftPM remembers a manifest for as long as its text and
/// the environment are the same, so a peer installed later would go unseen); otherwise its headers and pkg-config tell.
func isPresent(_ peer: Peer) -> Bool {
  if let named = Context.environment["SILTSTONE_PEERS"] {
    return named.split(separator: " ").contains(Substring(peer.name))
  }
  if FileManager.default.fileExists(atPath: "/usr/include/" + peer.header) { return true }
  guard let pkgConfig = peer.pkgConfig else { return false }
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = ["pkg-config", "--exists", pkgConfig]
  guard (try? process.run()) != nil else { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}

let present = peers.filter(isPresent)

let package = Package(
  name: "siltstone-benchmarks",
  products: [.executable(name: "siltstone-bench", targets: ["SiltstoneBench"])],
  dependencies: [
    .package(name: "siltstone", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: present.map(\.target) + [
    .target(name: "CDevice", cSettings: [.define("_GNU_SOURCE")], linkerSettings: [.linkedLibrary("uring")]),
    .executableTarget(
      name: "SiltstoneBench",
      dependencies: [
        "CDevice",
        .product(name: "Siltstone", package: "siltstone"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ] + present.map { .target(name: $0.module) },
      swiftSettings: strict + present.map(\.define)),
    .testTarget(
      name: "SiltstoneBenchTests", dependencies: ["SiltstoneBench"], path: "Tests", swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
