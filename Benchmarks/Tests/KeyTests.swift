import Testing

@testable import SiltstoneBench

@Suite struct KeyTests {
  @Test(arguments: [1, 2, 3, 100, 1_000, 4_097] as [UInt64])
  func aPermutationHitsEachNumberOnce(count: UInt64) {
    let permutation = Permutation(count: count, seed: 7)
    let image = (0..<count).map { permutation[$0] }
    #expect(Set(image).count == Int(count))
    #expect(image.allSatisfy { $0 < count })
    if count > 50 { #expect(image != Array(0..<count)) }
  }

  @Test func keysSortLikeTheirNumbers() {
    var maker = KeyMaker(keyBytes: 16)
    let keys = [0, 1, 255, 256, 65_536, 1 << 40].map { Array(maker.make($0)) }
    for (low, high) in zip(keys, keys.dropFirst()) { #expect(low.lexicographicallyPrecedes(high)) }
    #expect(keys.allSatisfy { $0.count == 16 })
  }
}
