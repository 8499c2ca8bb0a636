package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

type kernel struct{}

func (kernel) Now() time.Time { return time.Now() }

func (kernel) Set(t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
}

// Slew is adjtime(3): the kernel makes the clock run 0.05 % faster or slower.
func (kernel) Slew(by time.Duration) error {
	_, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT, Offset: by.Microseconds()})
	return err
}

func (kernel) SetRTC(t time.Time) error {
	fd, err := unix.Open("/dev/rtc0", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/rtc0: %w", err)
	}
	defer unix.Close(fd)
	t = t.UTC()
	return unix.IoctlSetRTCTime(fd, &unix.RTCTime{Sec: int32(t.Second()), Min: int32(t.Minute()), Hour: int32(t.Hour()),
		Mday: int32(t.Day()), Mon: int32(t.Month()) - 1, Year: int32(t.Year()) - 1900})
}
