internal import Glibc

/// Calls `call` again for as long as a signal interrupts it. Returns its result: -1, with `errno` set, on failure.
@inline(__always)
func retryingInterrupts<Result: FixedWidthInteger & SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result != -1 || errno != EINTR { return result }
  }
}

extension SiltstoneError {
  /// The error for a failed system call: the one place where an errno becomes a code.
  static func system(
    _ action: String, errno number: Int32, file: String?, offset: UInt64? = nil
  ) -> SiltstoneError {
    let code: Code =
      switch number {
      case ENOSPC, EDQUOT: .diskFull
      case EACCES, EPERM, EROFS: .permissionDenied
      case ENOENT: .missingFile
      case ENOMEM: .outOfMemory
      default: .inputOutput
      }
    let reason = String(cString: strerror(number))
    return SiltstoneError(code, "cannot \(action): \(reason)", file: file, offset: offset, errno: number)
  }
}
