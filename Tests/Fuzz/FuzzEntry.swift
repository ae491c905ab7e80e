// The one function that libFuzzer calls; each target has its own `fuzz`.

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  fuzz(UnsafeRawBufferPointer(start: start, count: count))
  return 0
}
