import Foundation

/// What a killed process would leave: the files as they are at this moment, the shared mapping included. With
/// `withoutShared`, what a power cut could leave at best: the files alone.
func copyDirectory(_ source: String, to target: String, withoutShared: Bool = false) throws {
  let manager = FileManager.default
  try? manager.removeItem(atPath: target)
  try manager.createDirectory(atPath: target, withIntermediateDirectories: true)
  for name in try manager.contentsOfDirectory(atPath: source) where !(withoutShared && name == "SHARED") {
    try manager.copyItem(atPath: source + "/" + name, toPath: target + "/" + name)
  }
}
