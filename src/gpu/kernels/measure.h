// The GPU programs that bench runs, as PTX for compute capability 7.0 (Volta) and later; the driver compiles them.
#pragma once

namespace numapin {

inline constexpr char kMeasurePtx[] = R"ptx(
.version 6.0
.target sm_70
.address_size 64

// Waits until *latch is not 0, so that copies queued behind it begin together and with all their commands in place;
// at most timeout_ns, so that a lost latch does not hang the GPU. One thread.
.visible .entry spin(.param .u64 latch, .param .u64 timeout_ns)
{
  .reg .pred  %p<3>;
  .reg .u32   %seen;
  .reg .u64   %at, %now, %end;
  ld.param.u64 %at, [latch];
  ld.param.u64 %end, [timeout_ns];
  mov.u64      %now, %globaltimer;
  add.u64      %end, %end, %now;
AGAIN:
  ld.volatile.global.u32 %seen, [%at];
  setp.ne.u32  %p1, %seen, 0;
  @%p1 bra     DONE;
  mov.u64      %now, %globaltimer;
  setp.lt.u64  %p2, %now, %end;
  @%p2 bra     AGAIN;
DONE:
  ret;
}

// Copies `count` times 16 bytes, `turns` times over. All threads of the grid walk side by side; each has eight loads on
// the way before its first store, because one PCIe round trip takes over a microsecond. `count` must be a multiple of
// eight times the number of threads.
.visible .entry copy16(.param .u64 to, .param .u64 from, .param .u64 count, .param .u32 turns)
{
  .reg .pred  %p<3>;
  .reg .u32   %thread, %threads, %cta, %ctas, %turns, %v<32>;
  .reg .u64   %to, %from, %n, %first, %step, %i, %off, %t, %f, %w, %wide;
  ld.param.u64 %to, [to];
  ld.param.u64 %from, [from];
  ld.param.u64 %n, [count];
  ld.param.u32 %turns, [turns];
  mov.u32      %thread, %tid.x;
  mov.u32      %threads, %ntid.x;
  mov.u32      %cta, %ctaid.x;
  mov.u32      %ctas, %nctaid.x;
  mul.wide.u32 %first, %cta, %threads;
  cvt.u64.u32  %w, %thread;
  add.u64      %first, %first, %w;
  mul.wide.u32 %step, %ctas, %threads;   // threads of the grid
  shl.b64      %wide, %step, 4;       // bytes that they cover at a time
  shl.b64      %step, %step, 3;       // a thread's way from turn to turn of the inner loop
TURN:
  setp.eq.u32  %p1, %turns, 0;
  @%p1 bra     DONE;
  sub.u32      %turns, %turns, 1;
  mov.u64      %i, %first;
NEXT:
  setp.ge.u64  %p2, %i, %n;
  @%p2 bra     TURN;
  shl.b64      %off, %i, 4;
  add.u64      %f, %from, %off;
  add.u64      %t, %to, %off;
  ld.global.v4.u32 {%v0, %v1, %v2, %v3}, [%f];
  add.u64      %f, %f, %wide;
  ld.global.v4.u32 {%v4, %v5, %v6, %v7}, [%f];
  add.u64      %f, %f, %wide;
  ld.global.v4.u32 {%v8, %v9, %v10, %v11}, [%f];
  add.u64      %f, %f, %wide;
  ld.global.v4.u32 {%v12, %v13, %v14, %v15}, [%f];
  add.u64      %f, %f, %wide;
  ld.global.v4.u32 {%v16, %v17, %v18, %v19}, [%f];
  add.u64      %f, %f, %wide;
  ld.global.v4.u32 {%v20, %v21, %v22, %v23}, [%f];
  add.u64      %f, %f, %wide;
  ld.global.v4.u32 {%v24, %v25, %v26, %v27}, [%f];
  add.u64      %f, %f, %wide;
  ld.global.v4.u32 {%v28, %v29, %v30, %v31}, [%f];
  st.global.v4.u32 [%t], {%v0, %v1, %v2, %v3};
  add.u64      %t, %t, %wide;
  st.global.v4.u32 [%t], {%v4, %v5, %v6, %v7};
  add.u64      %t, %t, %wide;
  st.global.v4.u32 [%t], {%v8, %v9, %v10, %v11};
  add.u64      %t, %t, %wide;
  st.global.v4.u32 [%t], {%v12, %v13, %v14, %v15};
  add.u64      %t, %t, %wide;
  st.global.v4.u32 [%t], {%v16, %v17, %v18, %v19};
  add.u64      %t, %t, %wide;
  st.global.v4.u32 [%t], {%v20, %v21, %v22, %v23};
  add.u64      %t, %t, %wide;
  st.global.v4.u32 [%t], {%v24, %v25, %v26, %v27};
  add.u64      %t, %t, %wide;
  st.global.v4.u32 [%t], {%v28, %v29, %v30, %v31};
  add.u64      %i, %i, %step;
  bra          NEXT;
DONE:
  ret;
}

// Follows `loads` pointers from `from` on, on the one block number `block` of the grid: the distance to memory differs
// from multiprocessor to multiprocessor. One thread a block. Writes where it got to into *end.
.visible .entry chase(.param .u64 from, .param .u32 loads, .param .u32 block, .param .u64 end)
{
  .reg .pred  %p<3>;
  .reg .u32   %left, %block, %mine;
  .reg .u64   %at, %end;
  ld.param.u64 %at, [from];
  ld.param.u32 %left, [loads];
  ld.param.u32 %block, [block];
  ld.param.u64 %end, [end];
  mov.u32      %mine, %ctaid.x;
  setp.ne.u32  %p1, %mine, %block;
  @%p1 bra     DONE;
NEXT:
  ld.volatile.global.u64 %at, [%at];  // volatile: not from the multiprocessor's own cache
  sub.u32      %left, %left, 1;
  setp.ne.u32  %p2, %left, 0;
  @%p2 bra     NEXT;
  st.global.u64 [%end], %at;
DONE:
  ret;
}
)ptx";

}  // namespace numapin
