#include "battery/daly_stream.hpp"

namespace batgw::daly {

void Stream::restart()
{
    seen_.reset();
    begun_ = from_zero_ = spoilt_ = complete_ = false;
}

void Stream::spoil() { spoilt_ = !complete_; }

// Frames are counted from 1 in every capture and from 0 in the maker's text: a stream that begins with 0 counts from 0.
Stream::Taken Stream::take(const CanFrame& frame, std::size_t needed, Instant at)
{
    if (begun_ && at - last_ > gap) restart();
    const std::size_t number = frame.data[0];
    if (number > frames_max || (begun_ && from_zero_ && number >= frames_max)) return Taken::invalid;
    if (!begun_) from_zero_ = number == 0;
    begun_ = true;
    last_ = at;
    if (complete_) return Taken::surplus;
    if (number == 0 && !from_zero_) {  // which way it counts is anybody's guess
        spoilt_ = true;
        return Taken::invalid;
    }
    const std::size_t place = from_zero_ ? number : number - 1;
    if (place >= needed) return Taken::surplus;
    frames_[place] = frame;
    seen_.set(place);
    if (seen_.count() < needed || spoilt_) return Taken::more;
    complete_ = true;
    return Taken::complete;
}

}  // namespace batgw::daly
