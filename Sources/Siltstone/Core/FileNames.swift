/// `NNNNNN.suffix`: at least six digits, so that a listing sorts.
func numberedFileName(_ number: UInt64, suffix: String) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "." + suffix
}

/// The number in a name that `numberedFileName` made with this suffix, or nil.
func fileNumber(_ name: String, suffix: String) -> UInt64? {
  guard name.hasSuffix("." + suffix) else { return nil }
  let digits = name.dropLast(suffix.utf8.count + 1)
  guard let number = UInt64(digits), number <= Limits.maxFileNumber,
    numberedFileName(number, suffix: suffix) == name
  else { return nil }
  return number
}
