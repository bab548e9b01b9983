//! An ioctl's number carries the size of its argument (`_IOC_SIZE`, bits 16 to 29): a structure of another size
//! would be another ioctl, which the kernel refuses. The numbers are those that a C program prints on a 64-bit Linux.

use std::mem::{offset_of, size_of};

use v4l2_sys_mit::*;

/// The size of the argument in ioctl number `request`.
const fn argument_size(request: u32) -> usize {
    (request as usize >> 16) & 0x3fff
}

#[test]
fn sizes_are_those_in_the_ioctl_numbers() {
    assert_eq!(size_of::<v4l2_capability>(), argument_size(0x8068_5600), "VIDIOC_QUERYCAP");
    assert_eq!(size_of::<v4l2_fmtdesc>(), argument_size(0xc040_5602), "VIDIOC_ENUM_FMT");
    assert_eq!(size_of::<v4l2_requestbuffers>(), argument_size(0xc014_5608), "VIDIOC_REQBUFS");
    assert_eq!(size_of::<v4l2_streamparm>(), argument_size(0xc0cc_5616), "VIDIOC_S_PARM");
    assert_eq!(size_of::<v4l2_frmsizeenum>(), argument_size(0xc02c_564a), "VIDIOC_ENUM_FRAMESIZES");
    assert_eq!(size_of::<v4l2_frmivalenum>(), argument_size(0xc034_564b), "VIDIOC_ENUM_FRAMEINTERVALS");
    assert_eq!(size_of::<v4l2_query_ext_ctrl>(), argument_size(0xc0e8_5667), "VIDIOC_QUERY_EXT_CTRL");
    assert_eq!(size_of::<v4l2_querymenu>(), argument_size(0xc02c_5625), "VIDIOC_QUERYMENU");
    assert_eq!(size_of::<v4l2_exportbuffer>(), argument_size(0xc040_5610), "VIDIOC_EXPBUF");
    assert_eq!(size_of::<v4l2_control>(), argument_size(0xc008_561c), "VIDIOC_S_CTRL");
}

#[cfg(target_pointer_width = "64")]
#[test]
fn sizes_that_hold_pointers_or_times() {
    assert_eq!(size_of::<v4l2_format>(), argument_size(0xc0d0_5605), "VIDIOC_S_FMT");
    assert_eq!(size_of::<v4l2_buffer>(), argument_size(0xc058_5611), "VIDIOC_DQBUF");
    // Packed in the header: the values of several controls follow each other without padding.
    assert_eq!(size_of::<v4l2_ext_control>(), 20);
    assert_eq!(offset_of!(v4l2_ext_control, __bindgen_anon_1), 12);
}
