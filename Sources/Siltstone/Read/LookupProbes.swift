/// What a lookup has cost so far: a copy of its result's counters.
struct LookupProbes {
  let filterProbes: Int
  let filterNegatives: Int
  let blocksRead: Int
  let cacheHits: Int

  @inline(__always)
  init(_ result: borrowing LookupResult) {
    filterProbes = result.filterProbes
    filterNegatives = result.filterNegatives
    blocksRead = result.blocksRead
    cacheHits = result.cacheHits
  }
}
